-- Tokens and money by day, team, project and model. Rows whose cost is unknown are counted, not summed as 0; what used no
-- tokens (a denial, an error) has no cost to know.
SELECT
    dt, team, project, cost_center, gen_ai_provider_name,
    coalesce(gen_ai_response_model, gen_ai_request_model) AS model,
    count(*) AS requests,
    sum(gen_ai_usage_input_tokens)::BIGINT AS input_tokens,
    sum(gen_ai_usage_output_tokens)::BIGINT AS output_tokens,
    sum(billed_cost) AS billed_cost,
    billing_currency,
    count(*) FILTER (cost_unknown_reason <> 'no_usage') AS cost_unknown
FROM facts
GROUP BY ALL
