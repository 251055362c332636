"""The SQL tables. Rows are never domain objects: what reads them makes plain ones."""

from models.tables.bonuses import BonusAccountRow, BonusEntryRow, BonusLotRow
from models.tables.consents import ConsentRow, SuppressionRow, SuspensionRow, VerifiedAddressRow
from models.tables.coupons import CouponDropRow, CouponRow
from models.tables.ledger import AlertRow, CreditAccountRow, CreditEntryRow, QuotaEntryRow, QuotaRow
from models.tables.members import MemberGroupRow, MemberRow, PhoneCodeRow
from models.tables.merchants import MerchantRow
from models.tables.messages import MessageRow
from models.tables.providers import EarlyReceiptRow, ProviderRateRow
from models.tables.staff import StaffAlertRow
from models.tables.tasks import RegularTaskRow, TaskRunRow
from models.tables.templates import TemplateRow

__all__ = [
    "AlertRow",
    "BonusAccountRow",
    "BonusEntryRow",
    "BonusLotRow",
    "ConsentRow",
    "CouponDropRow",
    "CouponRow",
    "CreditAccountRow",
    "CreditEntryRow",
    "EarlyReceiptRow",
    "MemberGroupRow",
    "MemberRow",
    "MerchantRow",
    "MessageRow",
    "PhoneCodeRow",
    "ProviderRateRow",
    "QuotaEntryRow",
    "QuotaRow",
    "RegularTaskRow",
    "StaffAlertRow",
    "SuppressionRow",
    "SuspensionRow",
    "TaskRunRow",
    "TemplateRow",
    "VerifiedAddressRow",
]
