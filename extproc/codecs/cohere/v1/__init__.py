"""Version 1: one message beside a history, streams of JSON lines."""
