#!/bin/sh
# Linux and macOS: sh install.sh
cd "$(dirname "$0")" || exit 1
for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
  if command -v "$python" > /dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))'; then
    exec "$python" install.py "$@"
  fi
done
echo "There is no Python 3 on this machine. Install one that README.txt names, and try again." >&2
exit 1
