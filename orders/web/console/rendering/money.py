"""Amounts as people read them. Pure."""

from typing import Final

_DIGITS_DEFAULT: Final = 2
_WITHOUT_MINOR: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_WITH_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_WITH_FOUR: Final = "CLF UYW"
_DIGITS: Final = (
    dict.fromkeys(_WITHOUT_MINOR.split(), 0)
    | dict.fromkeys(_WITH_THREE.split(), 3)
    | dict.fromkeys(_WITH_FOUR.split(), 4)
)
"""How many digits of a currency are its minor unit, where it is not two (ISO 4217, list one, column "minor unit")."""


def money(amount: int, currency: str) -> str:
    """An amount with its currency's code behind it, as ``1,234.50 EUR``.

    Args:
        amount: in minor units of the currency; may be below zero.
        currency: its code of ISO 4217; an unknown one has two digits.
    """
    digits = _DIGITS.get(currency, _DIGITS_DEFAULT)
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**digits)
    return f"{sign}{whole:,}{f'.{part:0{digits}d}' if digits else ''} {currency}"
