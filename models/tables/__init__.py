"""The SQL tables. Rows are never domain objects: what reads them makes plain ones."""

from models.tables.merchants import MerchantRow
from models.tables.messages import MessageRow

__all__ = ["MerchantRow", "MessageRow"]
