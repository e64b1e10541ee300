SELECT
    p.id::text AS id,
    p.reference,
    concat_ws(' ', p.firstname, p.lastname) AS name,
    p.verified,
    p.contact_sheet_key AS sheet,
    m.name AS marathon,
    json_agg(json_build_object('key', s.key, 'number', t.position, 'topic', t.name) ORDER BY t.position, s.id)
        FILTER (WHERE s.id IS NOT NULL) AS photos,
    CASE WHEN row_number() OVER (ORDER BY p.reference, p.id) = 1 THEN (
        SELECT json_agg(logo.key ORDER BY logo.position, logo.id)
        FROM {sponsors} AS logo WHERE logo.marathon_id = m.id
    ) END AS sponsors
FROM {marathons} AS m
LEFT JOIN {participants} AS p ON p.marathon_id = m.id
LEFT JOIN {submissions} AS s ON s.participant_id = p.id
LEFT JOIN {topics} AS t ON t.id = s.topic_id
WHERE m.domain = %(domain)s
GROUP BY m.id, p.id
ORDER BY p.reference, p.id
