"""What can be wrong with how an aggregator was set up.

AggregatorError
  +- ConfigError     a configuration file that cannot be used: one line with file, line, key and what is allowed
  +- StrategyError   an unknown strategy, or a parameter it does not have
  +- ForecastError   a forecast that is not a curve
  +- ChequeFileError the journal of signed contracts cannot be used; says what to do
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class AggregatorError(Exception):
    """Anything of this room's making."""


class ConfigError(AggregatorError):
    """A configuration file that cannot be used; the text is one line for the operator."""

    def __init__(self, file: str, line: int, key: str, reason: str) -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key}: {reason}" if key else f"{where}: {reason}")
        self.file = file
        self.line = line
        self.key = key
        self.reason = reason


class StrategyError(AggregatorError):
    """A strategy name or parameter that does not exist, or a value outside its range."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class ForecastError(AggregatorError):
    """A forecast without values, with a step that is not positive, or with an unreadable line."""


class ChequeFileError(AggregatorError):
    """A journal of cheques that must not be used: the path, what is wrong with it, and what the operator does."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy
