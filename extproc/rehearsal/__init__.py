"""What another policy would have decided: a bundle asked about archived exchanges (`headgate policy replay`).

    archived      rows of the archive ─► what was done, and what policy was asked
    reinspection  a kept body past today's codec and detectors ─► what policy would be asked today
    private_opa   an OPA of our own with the bundle, for as long as it is needed
    judge         many inputs a POST ─► decisions, remembered while equal inputs have equal answers
    changes       what was done, what would be ─► what changes; counted by rule and team
    expectations  which changes somebody has said yes to
    replay        all of it, with a bounded number of rows in memory
    report        tables, JSON, CSV

Only the request is replayed: it is what a row holds the question of.
"""
