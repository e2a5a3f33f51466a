-- One row per conversation: who held it, how long it was, what it cost, how it ended.
SELECT
    session_id,
    min(ts) AS started,
    max(ts) AS last_turn,
    count(*) AS exchanges,
    max(turn) AS turns,
    any_value(team) AS team,
    any_value(caller) AS caller,
    list_sort(list_distinct(list(coalesce(gen_ai_response_model, gen_ai_request_model)))) AS models,
    sum(gen_ai_usage_input_tokens)::BIGINT AS input_tokens,
    sum(gen_ai_usage_output_tokens)::BIGINT AS output_tokens,
    sum(billed_cost) AS billed_cost,
    count(*) FILTER (decision = 'deny') AS denied,
    arg_max(capture_status, ts) AS last_status
FROM facts
WHERE session_id IS NOT NULL
GROUP BY session_id
