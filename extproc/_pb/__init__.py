"""Generated from proto/ by `make proto`; imported by `extproc.wire` alone."""
