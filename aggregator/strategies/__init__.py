"""How a buyer bids: eight strategies behind one pure interface.

Lives here: what a strategy sees (`LotView`), answers (`Decision`) and remembers (`Mind`), and the strategies. Never
here: a clock, a socket, need or budget, or what a kWh is worth. Studies and simulations may import it.

Whatever the strategy: it never bids below the price to beat nor above the buyer's value, and never while an own bid
stands unless the view asks for it.
"""

from aggregator.strategies.distributions import Distribution, declared
from aggregator.strategies.registry import NAMES, make_strategy, parameters_of
from aggregator.strategies.shading import shaded
from aggregator.strategies.types import NEW_MIND, Decision, Draws, LotView, Mind, Outcome, Strategy, Why

__all__ = [
    "NAMES",
    "NEW_MIND",
    "Decision",
    "Distribution",
    "Draws",
    "LotView",
    "Mind",
    "Outcome",
    "Strategy",
    "Why",
    "declared",
    "make_strategy",
    "parameters_of",
    "shaded",
]
