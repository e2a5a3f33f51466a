"""`python -m tests.e2e.mcp_server PORT`: a real MCP server over streamable HTTP, made with the `mcp` package.

It keeps sessions and answers with events unless `--json` is given.
"""

from __future__ import annotations

import argparse

from mcp.server.mcpserver import MCPServer

server = MCPServer("weather station")


@server.tool()
def weather(city: str) -> str:
    """The weather now."""
    return f"sunny in {city}"


@server.tool()
def storm(city: str) -> str:
    """A tool that fails."""
    raise ValueError(f"no station in {city}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    server.run("streamable-http", host="127.0.0.1", port=arguments.port, json_response=arguments.json)


if __name__ == "__main__":
    main()
