"""A message as a page that a browser shows: the email as it is, SMS and push as on a telephone."""

import base64
from html import escape

from activities.rendering import Rendered
from models.notices import Kind

_PHONE = """<!DOCTYPE html>
<html lang="{locale}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 24px; background: #f4f2ed; color: #22262a;
  font: 16px/1.5 -apple-system, "Segoe UI", Roboto, "Noto Sans TC", "PingFang TC", Arial, sans-serif; }}
main {{ max-width: 360px; margin: 0 auto; }}
p {{ margin: 0 0 8px; padding: 12px 16px; border-radius: 18px 18px 18px 4px; background: #fff;
  border: 1px solid #e2dfd8; white-space: pre-wrap; overflow-wrap: anywhere; }}
b {{ display: block; }}
small {{ color: #5a6169; padding-left: 16px; }}
</style>
</head>
<body><main><p>{heading}{text}</p><small>{cost}</small></main></body>
</html>
"""


def page(kind: Kind, message: Rendered) -> str:
    """The whole page. Pictures that a mail carries with it are put into it."""
    if message.html:
        return _with_pictures(message)
    return _PHONE.format(
        locale=message.locale,
        title=escape(kind.replace("_", " ")),
        heading=f"<b>{escape(message.subject)}</b>" if message.subject else "",
        text=escape(message.text),
        cost=cost(message),
    )


def cost(message: Rendered) -> str:
    """`135 characters, 1 segment`; what is free has no segments."""
    segments = "1 segment" if message.segments == 1 else f"{message.segments} segments"
    return f"{len(message.text)} characters" + (f", {segments}" if message.segments else "")


def _with_pictures(message: Rendered) -> str:
    html = message.html
    for file in message.attachments:
        if file.content_id:
            data = base64.b64encode(file.content).decode("ascii")
            html = html.replace(f"cid:{file.content_id}", f"data:{file.media_type};base64,{data}")
    return html
