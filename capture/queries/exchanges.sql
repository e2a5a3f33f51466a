-- Everything about an exchange in one row: its facts, and its content where you may read it.
SELECT f.*, c.* EXCLUDE (exchange_id, dt)
FROM facts AS f
LEFT JOIN content AS c ON c.exchange_id = f.exchange_id AND c.dt = f.dt
