"""Which dependencies a route calls by itself."""

from typing import Annotated

from fastapi import Depends, Request

from service_kit.dependencies import without_request_dependencies


async def caller_of(request: Request) -> str:
    return request.headers["caller"]


Caller = Annotated[str, Depends(caller_of)]


async def greeting_of(caller: Caller) -> str:
    return f"Good day, {caller}"


async def letter_of(greeting: Annotated[str, Depends(greeting_of)]) -> str:
    return f"{greeting}!"


async def answer_alone(caller: Caller, text: Annotated[str, Depends(lambda: "x")]) -> None: ...


async def answer_with_a_letter(caller: Caller, letter: Annotated[str, Depends(letter_of)]) -> None: ...


def test_a_dependency_that_needs_the_request_only_is_called_by_the_route() -> None:
    assert without_request_dependencies(answer_alone).given == {"caller": caller_of}


def test_a_dependency_that_another_one_needs_too_is_left_to_fastapi_which_calls_it_once() -> None:
    assert without_request_dependencies(answer_with_a_letter).given == {}
