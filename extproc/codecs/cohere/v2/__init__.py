"""Version 2: messages with typed parts, server-sent events."""
