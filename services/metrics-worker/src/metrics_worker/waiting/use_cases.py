"""The use cases of waiting policies: one function, one transaction each."""

from uuid import UUID

from metrics_worker.waiting.model import WaitingPolicy
from metrics_worker.waiting.schemas import WaitingPolicyCreate, WaitingPolicyUpdate
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


def create_policy(work: UnitOfWork, body: WaitingPolicyCreate) -> WaitingPolicy:
    """Create a policy. Raise `Unprocessable` for a warning after the limit."""
    policy = WaitingPolicy(id=new_id(), version=1, **body.model_dump())
    policy.check()
    work.add(policy)
    return policy


async def change_policy(
    work: UnitOfWork, policy_id: UUID, body: WaitingPolicyUpdate, expected: ExpectedVersion
) -> WaitingPolicy:
    """Change a policy. Raise `NotFound`, `PreconditionFailed`, and `Unprocessable` for a warning after the limit."""
    policy = await lock(work, WaitingPolicy, policy_id, expected)
    body.apply_to(policy)
    policy.check()
    return policy


async def delete_policy(work: UnitOfWork, policy_id: UUID, expected: ExpectedVersion) -> None:
    """Delete a policy. Raise `NotFound` and `PreconditionFailed`."""
    await work.delete(await lock(work, WaitingPolicy, policy_id, expected, with_key=True))
