"""The SQL tables. Rows are never domain objects: what reads them makes plain ones."""

from models.tables.consents import ConsentRow, SuppressionRow, SuspensionRow, VerifiedAddressRow
from models.tables.ledger import AlertRow, CreditAccountRow, CreditEntryRow, QuotaEntryRow, QuotaRow
from models.tables.merchants import MerchantRow
from models.tables.messages import MessageRow
from models.tables.providers import EarlyReceiptRow, ProviderRateRow
from models.tables.templates import TemplateRow

__all__ = [
    "AlertRow",
    "ConsentRow",
    "CreditAccountRow",
    "CreditEntryRow",
    "EarlyReceiptRow",
    "MerchantRow",
    "MessageRow",
    "ProviderRateRow",
    "QuotaEntryRow",
    "QuotaRow",
    "SuppressionRow",
    "SuspensionRow",
    "TemplateRow",
    "VerifiedAddressRow",
]
