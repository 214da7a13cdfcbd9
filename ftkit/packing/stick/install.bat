@echo off
rem Windows: a double click on this file, or install.bat in a terminal.
cd /d "%~dp0"
where py >nul 2>nul && (py -3 install.py %* & goto end)
where python >nul 2>nul && (python install.py %* & goto end)
echo There is no Python on this machine. Install one that README.txt names, and try again.
:end
pause
