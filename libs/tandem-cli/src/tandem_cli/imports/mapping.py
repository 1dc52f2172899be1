"""The schema of a mapping file: which cell becomes which field. Checked before anything is read or sent."""

from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from event_contracts.fields import DECIMAL_PLACES
from event_contracts.lists import ListName
from event_contracts.sales import Stage
from event_contracts.service import Priority, TicketChannel, TicketKind
from tandem_cli.problem import StackProblem

OUTCOMES = ("won", "lost", "open")


class _Strict(BaseModel):
    """An unknown key is an error, and a number or `no` where text belongs is one too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _dates_as_text(value: Any, name: str) -> Any:
    # YAML reads an unquoted 2018-01-01 as a date; its text is what was meant.
    if isinstance(value, dict) and hasattr(value.get(name), "isoformat"):
        return {**value, name: value[name].isoformat()}
    return value


class Cell(_Strict):
    """Where one text comes from: a column of the file, or a constant. A plain string in the file names a column."""

    column: str | None = None
    constant: str | None = None
    values: dict[str, str | None] | None = None
    """A cell's possible texts, and what each becomes; null makes it unknown. Any other text is an error of its row."""
    default: str | None = None
    """The value where the cell is unknown; taken as it is."""
    template: str | None = None
    """Text around the cell: `Seller {}`."""
    slug: bool = False
    """Make it a code: `Location 143` becomes `location-143`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> "Cell":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either a column or a constant")
        if self.constant is not None and (self.values or self.default or self.template or self.slug):
            raise ValueError("a constant is taken as it is: values, default, template and slug belong to a column")
        if self.template is not None and self.template.count("{}") != 1:
            raise ValueError("a template holds {} once")
        return self

    @property
    def possible(self) -> set[str] | None:
        """Every text that this can become, or None when that depends on the file."""
        if self.constant is not None:
            return {self.constant}
        if self.values is None or self.slug or self.template:
            return None
        return {value for value in (*self.values.values(), self.default) if value is not None}


class Time(_Strict):
    """Where an instant comes from. `format` is one of Python's strptime, or several that are tried in turn; without
    one, it is that of all cells of the column."""

    column: str
    format: str | list[str] = []
    zone: str = "UTC"
    """The IANA time zone that the file's times are in; not used where the format has %z."""
    default: str | None = None
    """The time where the cell is unknown, in that zone: `2016-12-31` or `2016-12-31 09:00`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return _dates_as_text({"column": value} if isinstance(value, str) else value, "default")

    @field_validator("default")
    @classmethod
    def _time_without_zone(cls, value: str | None) -> str | None:
        try:
            if value is None or datetime.fromisoformat(value).tzinfo is None:
                return value
        except ValueError:
            pass
        raise ValueError(f"{value!r} is no time such as 2016-12-31 or 2016-12-31 09:00")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}; name one as Europe/Vilnius or UTC") from None
        return value

    @property
    def formats(self) -> list[str]:
        return [self.format] if isinstance(self.format, str) else self.format


class Source(_Strict):
    """How one kind of file is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    unknown: list[str] = [""]
    """Texts of cells that count as empty."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(f"there is no encoding {value!r}") from None
        return value


def _among(allowed: tuple[str, ...]) -> Callable[[Cell], Cell]:
    """Checks that a cell becomes one of a closed list, whatever the file has."""

    def check(cell: Cell) -> Cell:
        if cell.possible is None:
            raise ValueError(f"map the cells by `values` to: {', '.join(allowed)}")
        if wrong := sorted(cell.possible - set(allowed)):
            raise ValueError(f"{', '.join(wrong)}: must be one of {', '.join(allowed)}")
        return cell

    return check


class ExchangeRate(_Strict):
    """A rate that deals of the file need: reporting currency for one unit of `currency`, from `day` on."""

    currency: str
    day: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    rate: str = Field(pattern=r"^\d{1,12}(\.\d{1,10})?$")

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DECIMAL_PLACES:
            raise ValueError(f"{value} is not an ISO 4217 currency code")
        return value

    @model_validator(mode="before")
    @classmethod
    def _day_as_text(cls, value: Any) -> Any:
        return _dates_as_text(value, "day")


class LeadFields(_Strict):
    """A lead's fields, from a row of the source `leads`."""

    reference: Cell
    created_at: Time
    company: Cell | None = None
    channel: Cell | None = None
    region: Cell | None = None
    segment: Cell | None = None
    product: Cell | None = None
    owner: Cell | None = None
    """The salesperson, by whatever the file calls them; made when they are not there yet."""


Match = Literal["reference", "name", "domain", "external_ref"]


class AccountFields(_Strict):
    """The customer of a deal. A plain string names the column with its name."""

    name: Cell | None = None
    reference: Cell | None = None
    """What identifies the customer in the other system."""
    domain: Cell | None = None
    """A web or e-mail address of the company."""
    external_ref: Cell | None = None
    """The external_ref of an account that may be there already, also by another client."""
    match: Match | list[Match] = []
    """By what rows are found to be about one customer; of several, the first one that a row has."""
    region: Cell | None = None
    segment: Cell | None = None
    channel: Cell | None = None
    owner: Cell | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_what_it_matches_by(self) -> "AccountFields":
        if missing := [key for key in self.keys if getattr(self, key) is None]:
            raise ValueError(f"matches by {', '.join(missing)}, and does not say where that comes from")
        return self

    @property
    def keys(self) -> list[Match]:
        """What it is matched by: unless given, the reference, or the name of accounts without one."""
        if isinstance(self.match, str):
            return [self.match]
        return self.match or (["name"] if self.reference is None else ["reference"])


def _named(account: AccountFields) -> AccountFields:
    if account.name is None:
        raise ValueError("needs a name, for the accounts that are made of it")
    return account


def _currency(value: Cell) -> Cell:
    if wrong := sorted((value.possible or set()) - set(DECIMAL_PLACES)):
        raise ValueError(f"{', '.join(wrong)}: not an ISO 4217 currency code")
    return value


class LineFields(_Strict):
    """One product line of a deal."""

    product: Cell
    quantity: Cell = Cell(constant="1")
    unit_price: Cell


class DealFields(_Strict):
    """What became of a lead, from the row of the source `deals` that names it."""

    reference: Cell
    """The column that holds the lead's reference."""
    opened_at: Time | None = None
    """When the lead was converted and the deal opened. Unless given, the sale began with the lead, which was converted
    when the deal was closed."""
    closed_at: Time
    outcome: Cell = Cell(constant="won")
    reason: Cell | None = None
    account: AccountFields
    currency: Cell
    lines: list[LineFields] = Field(min_length=1, max_length=100)
    owner: Cell | None = None
    segment: Cell | None = None
    region: Cell | None = None
    channel: Cell | None = None
    closed_before_created: Literal["reject", "move-lead"] = "reject"
    """What to do with a deal that was opened or closed before its lead was created: an error, or the lead moves to
    that time."""

    @model_validator(mode="before")
    @classmethod
    def _account_name(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "account_name" not in value:
            return value
        if "account" in value:
            raise ValueError("account_name is short for account.name: give one of them")
        return {("account" if name == "account_name" else name): one for name, one in value.items()} | {
            "account": {"name": value["account_name"]}
        }

    @field_validator("account")
    @classmethod
    def _has_a_name(cls, value: AccountFields) -> AccountFields:
        return _named(value)

    @field_validator("outcome")
    @classmethod
    def _outcome(cls, value: Cell) -> Cell:
        return _among(OUTCOMES)(value)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: Cell) -> Cell:
        return _currency(value)


class _Mapping(_Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """Part of every reference and idempotency key: two imports under one name are the same import."""
    about: str = ""
    declare: list[ListName] = []
    """The declared lists of which values that are not there yet are made; of others their rows are refused."""


class LeadSources(_Strict):
    """The files of a mapping of leads."""

    leads: Source = Source()
    deals: Source = Source()


class LeadMapping(_Mapping):
    """A row a lead, and, where they were closed, a row a deal."""

    kind: Literal["leads"]
    sources: LeadSources = LeadSources()
    lead: LeadFields
    deal: DealFields | None = None
    team: str = "Imported"
    """The name of the team that salespeople made by this import belong to."""
    exchange_rates: list[ExchangeRate] = []

    def columns(self) -> dict[str, set[str]]:
        """The columns that each source must have, and the cells of which are read."""
        needed = {"leads": set(columns_of(self.lead))}
        if self.deal is not None:
            needed["deals"] = set(columns_of(self.deal))
        return needed

    def source(self, name: str) -> Source:
        """How the files of a source are written."""
        return self.sources.leads if name == "leads" else self.sources.deals


class TicketFields(_Strict):
    """A ticket's fields; where its rows differ, the first one counts, as it is what was known at the opening."""

    reference: Cell
    """Rows with the same value belong to the same ticket."""
    opened_at: Time
    kind: Cell
    channel: Cell
    priority: Cell = Cell(constant="normal")
    customer: Cell
    region: Cell | None = None
    """The customer's region: the customer's first ticket counts."""
    segment: Cell | None = None
    product: Cell | None = None
    team: Cell | None = None
    agent: Cell | None = None

    @field_validator("kind", "channel", "priority")
    @classmethod
    def _closed_list(cls, value: Cell, info: Any) -> Cell:
        lists = {"kind": TicketKind, "channel": TicketChannel, "priority": Priority}
        return _among(get_args(lists[info.field_name]))(value)


class HistoryFields(_Strict):
    """The history of a ticket in its rows, one row a change."""

    order: str
    """The column with the change's number, by which a ticket's rows are ordered."""
    changed_at: Time
    state: str
    resolved_states: list[str] = Field(min_length=1)
    """Cells of the column `state` that mean that the ticket is resolved."""
    reopen_count: str
    """The column that counts how often the ticket was reopened so far."""
    resolved_at: Time
    """When it was resolved for good; where unknown, the first row in a resolved state counts."""
    resolved_by: Cell | None = None
    closed_at: Time


class TicketSources(_Strict):
    """The files of a mapping of tickets."""

    changes: Source = Source()


class TicketMapping(_Mapping):
    """A row a change of a ticket; the rows of one ticket make its history."""

    kind: Literal["tickets"]
    sources: TicketSources = TicketSources()
    ticket: TicketFields
    history: HistoryFields

    def columns(self) -> dict[str, set[str]]:
        """The columns that the source must have."""
        history = self.history
        return {
            "changes": {
                *columns_of(self.ticket),
                *columns_of(history),
                history.order,
                history.state,
                history.reopen_count,
            }
        }

    def source(self, name: str) -> Source:
        """How the files of the source are written."""
        return self.sources.changes


class CrmProductFields(_Strict):
    """A product, from a row of the source `products`."""

    reference: Cell
    """Its code."""
    name: Cell | None = None
    price: Cell | None = None
    """The unit price of deals whose own is unknown, in their currency."""


class CrmRepFields(_Strict):
    """A salesperson, from a row of the source `reps`."""

    reference: Cell
    name: Cell | None = None
    team: Cell | list[Cell] = []
    """The team; of several, each is below the one before it."""
    manager: Cell | None = None
    """The reference of the person whom they report to."""
    region: Cell | None = None

    @property
    def teams(self) -> list[Cell]:
        """The teams from the top down."""
        return [self.team] if isinstance(self.team, Cell) else self.team


class CrmAccountFields(AccountFields):
    """A customer, from a row of the source `accounts`."""

    registered_at: Time | None = None
    """When they became one; with their first deal at the latest."""

    @model_validator(mode="after")
    def _has_a_name(self) -> "CrmAccountFields":
        _named(self)
        return self


class CrmLineFields(_Strict):
    """One product line of a deal."""

    product: Cell
    quantity: Cell = Cell(constant="1")
    unit_price: Cell | None = None
    """Where it is unknown, the product's price."""


class CrmDealFields(_Strict):
    """A deal, from a row of the source `deals`."""

    reference: Cell
    account: AccountFields
    """Found among the accounts by what they match by."""
    owner: Cell | None = None
    title: Cell | None = None
    opened_at: Time
    stage: Cell
    stage_at: Time | None = None
    """When an open deal came to its stage; when it was opened, unless given."""
    closed_at: Time | None = None
    expected_close_on: Time | None = None
    reason: Cell | None = None
    currency: Cell
    lines: list[CrmLineFields] = Field(min_length=1, max_length=100)
    segment: Cell | None = None
    region: Cell | None = None
    channel: Cell | None = None

    @field_validator("stage")
    @classmethod
    def _stage(cls, value: Cell) -> Cell:
        return _among(get_args(Stage))(value)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: Cell) -> Cell:
        return _currency(value)


class CrmSources(_Strict):
    """The files of a mapping of a CRM."""

    accounts: Source = Source()
    products: Source = Source()
    reps: Source = Source()
    deals: Source = Source()


class CrmMapping(_Mapping):
    """Accounts, products, salespeople and deals, each from rows of their own, which refer to one another."""

    kind: Literal["crm"]
    sources: CrmSources = CrmSources()
    account: CrmAccountFields | None = None
    product: CrmProductFields | None = None
    rep: CrmRepFields | None = None
    deal: CrmDealFields
    team: str = "Imported"
    """The name of the team of owners of deals, where there are no rows of salespeople."""
    exchange_rates: list[ExchangeRate] = []

    @model_validator(mode="after")
    def _accounts_are_found(self) -> "CrmMapping":
        if self.account is None:
            _named(self.deal.account)
        elif self.account.keys != self.deal.account.keys:
            raise ValueError(
                f"accounts match by {', '.join(self.account.keys)}, those of deals by"
                f" {', '.join(self.deal.account.keys)}: they must match by the same"
            )
        return self

    def columns(self) -> dict[str, set[str]]:
        """The columns that each source must have, and the cells of which are read."""
        parts = {"deals": self.deal, "accounts": self.account, "products": self.product, "reps": self.rep}
        return {name: set(columns_of(part)) for name, part in parts.items() if part is not None}

    def source(self, name: str) -> Source:
        """How the files of a source are written."""
        source: Source = getattr(self.sources, name)
        return source


AnyMapping = LeadMapping | TicketMapping | CrmMapping
Mapping = Annotated[AnyMapping, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnyMapping] = TypeAdapter(Mapping)


def columns_of(model: BaseModel) -> Iterator[str]:
    """Every column that a part of a mapping reads."""
    for _, value in model:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Cell | Time):
                if item.column is not None:
                    yield item.column
            elif isinstance(item, BaseModel):
                yield from columns_of(item)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, not a silent replacement of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def bundled() -> list[str]:
    """The names of the mappings that come along."""
    folder = files("tandem_cli") / "mappings"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load(name_or_path: str) -> AnyMapping:
    """The mapping in a file, or the bundled one of that name. Raises StackProblem: what is wrong, and where."""
    path = Path(name_or_path)
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif name_or_path in bundled():
        text = (files("tandem_cli") / "mappings" / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    else:
        raise StackProblem(f"There is no mapping file {name_or_path}; those that come along: {', '.join(bundled())}.")
    try:
        data = yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise StackProblem(f"The mapping {name_or_path} is not YAML: {error}") from None
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        lines = [f"  {_place(item['loc'])}: {_reason(item)}" for item in error.errors()]
        raise StackProblem(f"The mapping {name_or_path} does not hold:\n" + "\n".join(lines)) from None


def _place(location: tuple[int | str, ...]) -> str:
    # The discriminator's value is part of pydantic's path, and of nothing that the reader wrote.
    steps = location[1:] if location[:1] in (("leads",), ("tickets",), ("crm",)) else location
    return ".".join(str(step) for step in steps) or "the whole file"


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such key"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return "`kind` must be leads, tickets or crm"
    return str(error["msg"]).removeprefix("Value error, ")
