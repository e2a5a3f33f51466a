-- Every decision with its reasons: one row per rule that fired, and one without a rule where none did. A request that
-- Envoy itself answered (a wrong key, say) was never judged: `decision` is NULL and `message` says what Envoy said.
SELECT
    f.ts, f.dt, f.exchange_id, f.team, f.project, f.caller, f.route, f.mode, f.gen_ai_request_model,
    f.decision, f.would_decision, f.policy_failure, f.problem,
    r.reason.rule AS rule, r.reason.action AS action, r.reason.enforced AS enforced, coalesce(r.reason.message, if(f.decision IS NULL, f.answered_by || ': ' || f.error_type, NULL)) AS message,
    f.policy_revision
FROM facts AS f
LEFT JOIN (SELECT exchange_id, dt, unnest(reasons) AS reason FROM facts) AS r
    ON r.exchange_id = f.exchange_id AND r.dt = f.dt
