"""Coding agents that drive rewardsmith over MCP: `rewardsmith mcp` (docs/agents.md).

server        the MCP server; the only module that imports `mcp`
catalogue     the tools in order
tools         what its tools do, in plain text: tasks, programs, runs
search_tools  the tools of a search that the agent designs for
jobs          work in the background: progress, cancelling
run_text      runs, candidates and results in words
"""
