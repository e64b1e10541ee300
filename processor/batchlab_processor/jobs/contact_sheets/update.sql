UPDATE {participants} AS p
SET contact_sheet_key = u.key, contact_sheet_pages = u.pages, contact_sheet_made_at = u.made_at
FROM updates AS u
WHERE p.id::text = u.id
RETURNING u.id
