"""The QR code of a voucher number, as a picture that the email shows in place."""

from io import BytesIO

import segno

from channels.base import Attachment

CONTENT_ID = "voucher"
"""What the templates call the picture: `cid:voucher`."""

DOTS = 6
"""Pixels a module: sharp on a phone, where the picture is shown at about half its size."""


def voucher_code(voucher: str) -> Attachment:
    """A PNG of the voucher number. The same number is the same picture."""
    picture = BytesIO()
    # Never a Micro QR code: the scanners of many tills do not read it. `m` stands 15 % of dirt and glare.
    segno.make_qr(voucher, error="m").save(picture, kind="png", scale=DOTS, border=4)
    return Attachment("voucher.png", "image/png", picture.getvalue(), CONTENT_ID)
