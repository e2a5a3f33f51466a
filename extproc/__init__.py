"""Headgate's ext_proc server: reads every prompt and response, asks OPA, enforces the answer, writes it down."""
