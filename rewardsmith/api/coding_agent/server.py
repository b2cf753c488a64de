"""The MCP server of `rewardsmith mcp`: tools over stdin and stdout, for coding agents.

A tool runs in a thread; meanwhile its progress is sent as MCP notifications, and a call that the client cancels cancels
the job that it waits for. When the client goes away, every job is cancelled; runs keep what they have. The transport
keeps what processes print away from the protocol: stdout's descriptor leads to stderr while it serves.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, get_type_hints

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ContentBlock, TextContent, ToolAnnotations
from pydantic import ValidationError

from rewardsmith.api.coding_agent.catalogue import READ_ONLY, AgentTool, list_tools
from rewardsmith.api.coding_agent.jobs import JobRegistry
from rewardsmith.api.coding_agent.tools import ToolCall
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.text import suggest_names
from rewardsmith.spec.validation_errors import MAX_FAULTS, collect_faults

PROGRESS_S = 1.0
"""Seconds between two notifications about progress."""
INSTRUCTIONS = """\
rewardsmith trains policies in simulation on reward programs, and measures them on held-out episodes.
To design a reward: start_search with a sentence, then next_prompt and submit_program in turns until it has its result.
To try a program of yours: describe_task for the rules, check_program, train_program.
A program runs in a sealed process and may only compute on arrays. Look at show_frames before you believe a number.
Nothing is lost when you stop: next_prompt on the run directory goes on.\
"""


class ToolServer(MCPServer):
    """A server that refuses wrong arguments of a call in one line; those that the tool does not have, too."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None) -> Any:
        """Call a tool.

        Raises:
            ToolError: if there is no such tool, or its arguments are wrong.
        """
        tool = next((tool for tool in await self.list_tools() if tool.name == name), None)
        known = list(tool.input_schema.get("properties", ())) if tool else list(arguments)
        unknown = next((argument for argument in arguments if argument not in known), None)
        if unknown is not None:
            raise ToolError(f"{name} has no argument {unknown!r}; {suggest_names(unknown, known)}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            faults = collect_faults(error.__cause__, arguments)[:MAX_FAULTS]
            raise ToolError(f"{name}: {'; '.join(fault.describe('argument') for fault in faults)}") from error


def build_server(jobs: JobRegistry) -> MCPServer:
    """Build the server with its tools."""
    from importlib.metadata import version

    server = ToolServer(
        "rewardsmith",
        instructions=INSTRUCTIONS,
        version=version("rewardsmith"),
        log_level="WARNING",
        subscriptions=False,
    )
    # A run's own log has the rest; stderr is what the client shows its user.
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)
    for tool in list_tools(jobs):
        name, notes = tool.__name__, ToolAnnotations(read_only_hint=tool.__name__ in READ_ONLY)
        about = inspect.getdoc(tool)
        server.add_tool(_wrap_tool(tool), name, description=about, annotations=notes, structured_output=False)
    return server


def serve_stdio() -> None:
    """Serve one client over stdin and stdout until it goes away; then cancel what still runs."""
    jobs = JobRegistry()
    try:
        build_server(jobs).run("stdio")
    finally:
        jobs.cancel_all()


def _wrap_tool(tool: AgentTool) -> Callable[..., Coroutine[Any, Any, CallToolResult]]:
    """Return a tool as the server calls it: with a context in place of the call, and without blocking the server."""

    async def serve_call(context: Context[Any, Any], **arguments: Any) -> CallToolResult:
        call = ToolCall()
        work = partial(_run_tool, tool, call, arguments)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_send_progress, context, call)
                result = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
                group.cancel_scope.cancel()
            return result
        finally:
            call.cancelled.set()

    # The server reads the tool's parameters from the signature.
    hints = get_type_hints(tool, include_extras=True)
    parameters = [parameter for parameter in inspect.signature(tool).parameters.values() if parameter.name != "call"]
    shown = [parameter.replace(annotation=hints[parameter.name]) for parameter in parameters]
    ours = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=Context)
    serve_call.__signature__ = inspect.Signature([*shown, ours])  # type: ignore[attr-defined]
    serve_call.__annotations__ = {parameter.name: parameter.annotation for parameter in (*shown, ours)}
    return serve_call


def _run_tool(tool: AgentTool, call: ToolCall, arguments: dict[str, Any]) -> CallToolResult:
    """Run a tool; an error is one line for the agent."""
    try:
        outcome = tool(call, **arguments)
    except RewardsmithError as error:
        return CallToolResult(content=[_write_text(str(error))], is_error=True)
    except OSError as error:
        message = f"{error.filename or 'the system'}: {error.strerror or error}"
        return CallToolResult(content=[_write_text(message)], is_error=True)
    if isinstance(outcome, str):
        return CallToolResult(content=[_write_text(outcome)])
    pictures = [_encode_picture(png) for png in outcome.pngs]
    return CallToolResult(content=[_write_text(outcome.text), *pictures])


async def _send_progress(context: Context[Any, Any], call: ToolCall) -> None:
    """Send the progress of a call whenever it has changed."""
    sent = ""
    while True:
        await anyio.sleep(PROGRESS_S)
        if call.message != sent:
            sent = call.message
            await context.report_progress(round(100.0 * call.fraction, 1), 100.0, sent)


def _write_text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _encode_picture(png: bytes) -> ContentBlock:
    from mcp.server.mcpserver import Image

    return Image(data=png, format="png").to_image_content()
