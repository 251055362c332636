"""Where a phone number is from."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=2_000)
def is_domestic(e164: str, country: str) -> bool:
    """Whether a number, in E.164 form, is of that country (ISO 3166). What is no number is foreign. [WACA-28]

    Countries that share a code, such as +1, are told apart by what follows it; a number that tells nothing,
    such as one free of charge, is of the country to which the code belongs first.
    """
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return False
    region = phonenumbers.region_code_for_number(number)
    region = region or phonenumbers.region_code_for_country_code(number.country_code or 0)
    return bool(region == country)
