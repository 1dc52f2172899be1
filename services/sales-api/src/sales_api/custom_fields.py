"""The custom fields of the nouns of sales."""

from typing import ClassVar

from sales_api.tables import Base
from service_kit.custom_fields.model import CustomField, custom_field_constraints


class Field(CustomField, Base, table="custom_field"):
    """What an admin declared that records of a noun have."""

    __table_args__: ClassVar = custom_field_constraints()
