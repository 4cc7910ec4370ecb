"""The owner's price: below which reserve the energy is kept, and why.

Lives here, as values in and values out: the owner's fixed reserves and tiers (`reserve`), what energy is worth later
(`opportunity`, `forecast`, `forecast_file`), what moving it wears off (`dynamic`), and the mark-up that past lots speak
for (`markup`). Never here: a clock, a thread, a socket, a journal or anything else of the agent; `agent.appraiser`
calls these files at the right moments. The agent and the market study import it, by these names; it imports
`etp.units`.

Prices are `price_e4` (1/10 000 c/kWh) on the tick of the trading grid, and everything rounds up.
"""

from agent.pricing.dynamic import (
    MARKUP_MAX_E4,
    WEAR_ASSUMED_E4,
    DynamicTerms,
    Parts,
    horizon,
    parts_of,
    terminal_e4,
    wear_e4,
)
from agent.pricing.forecast import (
    HORIZON_SLOTS,
    SLOT_MS,
    Band,
    FlatTariff,
    Forecast,
    ForecastError,
    OwnSales,
    PriceFile,
    PriceList,
    SalesHistory,
    TimeOfUse,
)
from agent.pricing.forecast_file import parse_prices, parsing
from agent.pricing.markup import LOTS_MIN, LotSeen, Markup
from agent.pricing.opportunity import Plant, Step, WorthTable, appraise, appraising
from agent.pricing.reserve import FixedReserve, OwnerReserve, PricingError, Reserve, SocTiers, Tier
from agent.pricing.slices import Slices, finished

__all__ = [
    "HORIZON_SLOTS",
    "LOTS_MIN",
    "MARKUP_MAX_E4",
    "SLOT_MS",
    "WEAR_ASSUMED_E4",
    "Band",
    "DynamicTerms",
    "FixedReserve",
    "FlatTariff",
    "Forecast",
    "ForecastError",
    "LotSeen",
    "Markup",
    "OwnSales",
    "OwnerReserve",
    "Parts",
    "Plant",
    "PriceFile",
    "PriceList",
    "PricingError",
    "Reserve",
    "SalesHistory",
    "Slices",
    "SocTiers",
    "Step",
    "Tier",
    "TimeOfUse",
    "WorthTable",
    "appraise",
    "appraising",
    "finished",
    "horizon",
    "parse_prices",
    "parsing",
    "parts_of",
    "terminal_e4",
    "wear_e4",
]
