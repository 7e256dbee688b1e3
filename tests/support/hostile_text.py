"""Texts that attack a page, a script, a spreadsheet or the eye; none may do anything but be shown.

Whatever one of them runs sets `window.pwned` or opens a dialog.
"""

import unicodedata

_RUN = "window.pwned=1"
_TAGS = (
    f"<script>{_RUN}</script>",
    f"<script src=data:text/javascript,{_RUN}></script>",
    f"<ScRiPt >{_RUN}</sCrIpT >",
    f"<img src=x onerror={_RUN}>",
    f"<img src=x:x onerror='{_RUN}' x='",
    f"<svg onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<svg><a xlink:href=javascript:{_RUN}><text y=9>x</text></a></svg>",
    f"<svg><use href='data:image/svg+xml,<svg onload={_RUN}>'></svg>",
    f"<svg><foreignObject><iframe srcdoc='<script>{_RUN}</script>'></foreignObject></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}>",
    f"<math href=javascript:{_RUN}>x</math>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    f"<iframe src=javascript:{_RUN}>",
    f"<object data=javascript:{_RUN}>",
    "<embed src=//evil.example/x.swf>",
    "<base href=//evil.example/>",
    f"<meta http-equiv=refresh content='0;url=javascript:{_RUN}'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import '//evil.example/x.css'</style>",
    f"<body onload={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<select autofocus onfocus={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<marquee onstart={_RUN}>",
    f"<form action=javascript:{_RUN}><button>x</button></form>",
    f"<button formaction=javascript:{_RUN}>x</button>",
    f"<template><img src=x onerror={_RUN}></template>",
    f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    f"<xss id=x tabindex=1 onfocus={_RUN}></xss>",
    f"<div hx-on:click={_RUN} hx-get=/login hx-trigger=load>x</div>",
    f"<div hx-get=/about hx-trigger=load hx-vals='js:{{a:{_RUN}}}'>x</div>",
    f"<a href=javascript:{_RUN}>x</a>",
    f"<a href='data:text/html,<script>{_RUN}</script>'>x</a>",
    f"<plaintext><script>{_RUN}</script>",
    "<!--", "-->", "<![CDATA[", "]]>", "<?xml version='1.0'?>", "<!DOCTYPE html>", "</html>", "</body>", "<",
    ">", "<>", "</",
)  # fmt: skip
_BREAKERS = tuple(
    f"{end}{payload}"
    for end in ('"', "'", "`", '">', "'>", "</title>", "</textarea>", "</script>", "</style>", "</select>", "--!>")
    for payload in (f"<img src=x onerror={_RUN}>", f" onmouseover={_RUN} autofocus onfocus={_RUN} x=")
)  # fmt: skip
_SCRIPTS = (
    f"';{_RUN};'", f'";{_RUN};"', f"`;{_RUN};`", f"${{{_RUN}}}", "\\", "\\'", '\\"', "\\u003cscript\\u003e", "\\x3c",
    f"{{{{constructor.constructor('{_RUN}')()}}}}", "{{7*7}}", "{%raw%}", "{% include '/etc/passwd' %}", "{#x#}",
    "{{ config }}", "{{ self.__init__.__globals__ }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "[[7*7]]", "*{7*7}", "@{x}",
    f"javascript:{_RUN}", f"JaVaScRiPt:{_RUN}", f"javascript&colon;{_RUN}", f"data:text/html,<script>{_RUN}</script>",
    "__proto__", "constructor", "toString", "hasOwnProperty", "null", "undefined", "NaN", "true", "[object Object]",
    '{"a":1}', "]}", '"}]', "</script><!--", "<!--<script>", "&lt;b&gt;", "&amp;", "&#60;",
    "&#x3c;script&#x3e;", "&nbsp;",
    "'; DROP TABLE runs; --", "' OR '1'='1", "1; SELECT pg_sleep(9)", "%s%s%n", "%00", "%3Cscript%3E",
    "../../etc/passwd",
    "..\\..\\x", "file:///etc/passwd", "//evil.example", "https://evil.example/?a=1&b=2", "CON",
    "\r\nSet-Cookie: a=b"[2:],
    "+ADw-script+AD4-", "\u2028x", "\u2029x", "on", "off", "L0H0", "L1F3", "?", "#", "&", "a=b&c=d", "a;b", "a,b",
)  # fmt: skip
_FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(1)", "=HYPERLINK(\"http://evil.example\",\"x\")", "=cmd|'/c calc'!A1", "{=1+1}",
    "'=1+1", "''=1", "|x", "%x", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "=IMPORTXML(\"//x\",\"y\")",
    "0123", "1e5",
    "2024-01-01", "1/2", "TRUE", "_x000A_", "\u21aa overflow 1: x",
)  # fmt: skip
_EYES = (
    "\u202eevil\u202c", "\u202eevil", "\u202devil", "\u2066a\u2069", "\u2067a", "\u2069a", "\u200ea", "\u200fa",
    "\u061ca",
    "\u05e9\u05dc\u05d5\u05dd", "\u0639\u0631\u0628\u064a abc", "abc \u05d0\u05d1 123", "a\u200bb", "a\u200cb",
    "a\u200db",
    "a\u2060b", "a\ufeffb", "a\u00adb", "a\u00a0b", "a\u3000b", "a\u180eb", "\u2400\u2407\u241b",
    "\u240d\u240a", "a\u206ab",
    "Z\u0351\u036b\u0343\u036a\u0302a\u030a\u035bl\u0341\u0366go" * 3, "e" + "\u0301" * 60, "\u0e01" + "\u0e49" * 40,
    unicodedata.normalize("NFC", "caf\u00e9 \u1e69 \uac00"), unicodedata.normalize("NFD", "caf\u00e9 \u1e69 \uac00 x"),
    "\u212b \u2126 \ufb01", "\uff33\uff23", "\U0001f469\u200d\U0001f4bb", "\U0001f1e9\U0001f1ea",
    "\U0001f44d\U0001f3fd",
    "\U0001f3f4\u200d\u2620\ufe0f", "\u2764\ufe0f\u200d\U0001f525", "\ufe0f", "\U000e0041\U000e007f",
    "\U0010ffff", "\ue000",
    "\ufffd", "\ufffe", "\ufdd0", "\u3164", "\u115f", "\ufdfd", "\U00012031", "\u1d2c",
    "\u0130\u0131\u017f\u212a", "\u03a3\u03c3\u03c2",
    "x" * 300, "\u4e2d" * 120, "W" * 90 + " " + "i" * 90, "  lead and trail  ", "many     spaces", "-", "_", ".", "..",
)  # fmt: skip

# Each fits a name: one line of at most 400 bytes. No two are one name to `normalised`.
HOSTILE: tuple[str, ...] = tuple(dict.fromkeys((*_TAGS, *_BREAKERS, *_SCRIPTS, *_FORMULAS, *_EYES)))
