"""The routes of custom fields; the same in every API whose nouns have them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Response

from service_kit.custom_fields.model import CustomField, customized_noun
from service_kit.custom_fields.queries import forget_fields
from service_kit.custom_fields.schemas import CustomFieldCreate, CustomFieldRead, CustomFieldUpdate
from service_kit.custom_fields.values import MAX_FIELDS
from service_kit.fields import Code, Flag, Identifier, Moment
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.problems import Conflict, Unprocessable
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.suggestions import known_names
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected

CUSTOM_FIELDS_TAG: Final = {"custom-fields": "What admins declare that records have besides their own fields."}


class CustomFieldNameTaken(Conflict):
    """The noun has a field of this name, perhaps an archived one; `existing_id` is its id."""

    slug, title = "custom-field-name-taken", "The noun has a field of this name"


class TooManyCustomFields(Conflict):
    """The noun has as many fields as it can have."""

    slug, title = "too-many-custom-fields", "The noun has as many custom fields as it can have"


class CustomFieldHasNoOptions(Conflict):
    """Only a choice has options."""

    slug, title = "custom-field-has-no-options", "The field is no choice"


def custom_fields_of(entity: type[CustomField], resources: Iterable[Resource[Any]]) -> Resource[CustomFieldRead]:
    """Return the custom fields of these nouns, which are kept in the entity's table."""
    nouns = sorted(noun for each in resources if (noun := customized_noun(each.listing.table)) is not None)
    table = entity.table
    custom_fields = Resource(
        "/custom-fields/{custom_field_id}",
        table,
        CustomFieldRead,
        filters={
            "noun": Code,
            "name": Code,
            "type": Code,
            "is_required": Flag,
            "is_personal": Flag,
            "archived_at": Moment,
        },
        sorts=("noun", "name"),
        is_small=True,
    )
    custom_fields.read_routes(list_as="list_custom_fields", get_as="get_custom_field")

    async def check_number(work: UnitOfWork, noun: str) -> None:
        active = await work.find(entity, table.c.noun == noun, table.c.archived_at.is_(None))
        if len(active) >= MAX_FIELDS:
            raise TooManyCustomFields(f"Archive one of the {MAX_FIELDS} fields of {noun} first.")

    @custom_fields.routes.post("", status_code=201, summary="Declare a custom field")
    async def create_custom_field(body: CustomFieldCreate, work: Work, response: Response) -> CustomFieldRead:
        """Declare what records of a noun have besides their own fields. Lists filter by it at once."""
        if body.noun not in nouns:
            raise Unprocessable.at("#/noun", f"is no noun with custom fields; {known_names(body.noun, nouns)}")
        same = [table.c.noun == body.noun, table.c.name == body.name]
        if existing := await work.find(entity, *same):
            raise CustomFieldNameTaken(
                "Choose another name, or change that field, or restore it if it is archived.",
                existing_id=str(existing[0].id),
            )
        await check_number(work, body.noun)
        given = dict(body) | {"is_personal": body.has_personal_values}
        one = entity(id=new_id(), version=1, **given)
        work.add(one)
        forget_fields(work, one.noun)
        return custom_fields.show_created(response, one)

    @custom_fields.routes.patch("/{custom_field_id}", summary="Change a custom field")
    async def change_custom_field(
        custom_field_id: Identifier, body: CustomFieldUpdate, work: Work, response: Response, expected: Expected
    ) -> CustomFieldRead:
        """Change its label, its options, or whether a new record must have a value.

        Records keep the values that they have, also one that is no option any more.
        """
        one = await lock(work, entity, custom_field_id, expected)
        if "options" in body.model_fields_set and one.options is None:
            raise CustomFieldHasNoOptions("Leave the options out, or declare a choice under another name.")
        body.apply_to(one)
        forget_fields(work, one.noun)
        return custom_fields.show(response, one)

    @custom_fields.routes.post("/{custom_field_id}/archive", summary="Archive a custom field")
    async def archive_custom_field(
        custom_field_id: Identifier, work: Work, response: Response, expected: Expected
    ) -> CustomFieldRead:
        """Take no more values of it. Records show those that they have; lists no longer filter or sort by it."""
        one = await lock(work, entity, custom_field_id, expected)
        if one.archived_at is None:
            set_archived(work, one, datetime.now(UTC))
        return custom_fields.show(response, one)

    @custom_fields.routes.post("/{custom_field_id}/restore", summary="Restore a custom field")
    async def restore_custom_field(
        custom_field_id: Identifier, work: Work, response: Response, expected: Expected
    ) -> CustomFieldRead:
        """Take values of an archived field again."""
        one = await lock(work, entity, custom_field_id, expected)
        if one.archived_at is not None:
            await check_number(work, one.noun)
            set_archived(work, one, None)
        return custom_fields.show(response, one)

    def set_archived(work: UnitOfWork, one: CustomField, at: datetime | None) -> None:
        one.archived_at = at
        one.version += 1
        one.touch()
        forget_fields(work, one.noun)

    return custom_fields
