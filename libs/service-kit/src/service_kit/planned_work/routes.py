"""The routes of planned work that are the same for every noun: missed, moved and cancelled."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Response

from service_kit.fields import Identifier
from service_kit.planned_work.model import PlannedWork
from service_kit.planned_work.schemas import WorkCancelRequest, WorkMissRequest, WorkMoveDayRequest, WorkMoveRequest
from service_kit.planned_work.use_cases import cancel_work, miss_work, move_work
from service_kit.resources import Read, Resource
from service_kit.routing import By, Work
from service_kit.tables import noun_of
from service_kit.versions import Expected


def planned_work_routes(resource: Resource[Read], entity: type[PlannedWork]) -> None:
    """Add `POST …/missed`, `…/move` and `…/cancel`, under the operation ids `miss_activity` and so on."""

    async def miss(
        record_id: UUID, body: WorkMissRequest, work: Work, response: Response, expected: Expected, by: By
    ) -> Read:
        """Record that it did not take place. It counts as not on time, whether or not its due time has passed."""
        return resource.show(response, await miss_work(work, entity, record_id, body, expected, by))

    async def move(
        record_id: UUID,
        body: WorkMoveRequest | WorkMoveDayRequest,
        work: Work,
        response: Response,
        expected: Expected,
        by: By,
    ) -> Read:
        """Give what is planned, or was missed, another due time. One that had passed by then stays not kept."""
        return resource.show(response, await move_work(work, entity, record_id, body, expected, by))

    async def cancel(
        record_id: UUID, body: WorkCancelRequest, work: Work, response: Response, expected: Expected, by: By
    ) -> Read:
        """Record that what is planned is not to be done any more: it counts nowhere."""
        return resource.show(response, await cancel_work(work, entity, record_id, body, expected, by))

    noun = noun_of(entity.table)
    name = entity.table.name
    move.__annotations__["body"] = WorkMoveRequest if entity.due_field == "due_at" else WorkMoveDayRequest
    for endpoint, action, summary in (
        (miss, "missed", f"Record that a planned {noun} was missed"),
        (move, "move", f"Move a planned {noun}"),
        (cancel, "cancel", f"Cancel a planned {noun}"),
    ):
        endpoint.__annotations__["record_id"] = Annotated[Identifier, Path(alias=f"{name}_id")]
        resource.routes.post(
            f"/{{{name}_id}}/{action}",
            name=f"{endpoint.__name__}_{name}",
            summary=summary,
            response_model=resource.listing.read,
        )(endpoint)
