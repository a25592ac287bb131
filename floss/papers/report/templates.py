"""The templates of the page: Jinja2 with every text escaped, unless it is Markup."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from floss.papers.report.typesetting import anchor, prose, typeset
from floss.papers.words import plural

TEMPLATES = Environment(
    loader=PackageLoader("floss.papers.report", ""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {"anchor": anchor, "prose": prose, "typeset": typeset}
TEMPLATES.globals["plural"] = plural
