"""Preferences: a reward model's verdict, PPO, and comparing what differently tuned models write.

DPO, IPO and the reward model itself are tasks that `fit` trains: see ftkit.tasks.dpo and ftkit.tasks.reward. What is
here is what does not fit into a supervised loop.
"""

from ftkit.preference.compare import Comparison, compare, win_rate
from ftkit.preference.pairs import Margins, margins
from ftkit.preference.ppo import PPO, ppo
from ftkit.preference.rewards import score
from ftkit.preference.rule import checks, rule
from ftkit.preference.settings import PPOSettings

__all__ = ["PPO", "Comparison", "Margins", "PPOSettings", "checks", "compare", "margins", "ppo", "rule", "score",
           "win_rate"]
