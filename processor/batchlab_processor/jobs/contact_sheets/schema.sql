-- The tables that contact-sheets reads when no query of your own is named, and the three columns that it writes.
-- Print them with `batchlab db schema`. All of them may have more columns.

CREATE TABLE marathons (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain text NOT NULL UNIQUE, -- what a job names
    name text NOT NULL
);

CREATE TABLE topics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    marathon_id bigint NOT NULL REFERENCES marathons ON DELETE CASCADE,
    position integer NOT NULL, -- from 1: photos come in this order
    name text NOT NULL,
    UNIQUE (marathon_id, position)
);

CREATE TABLE sponsors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    marathon_id bigint NOT NULL REFERENCES marathons ON DELETE CASCADE,
    position integer NOT NULL DEFAULT 0,
    name text NOT NULL,
    key text NOT NULL -- of the logo: a URL, or a path below the job's `photos`
);

CREATE TABLE participants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    marathon_id bigint NOT NULL REFERENCES marathons ON DELETE CASCADE,
    reference text NOT NULL, -- the number on the starter's card
    firstname text,
    lastname text,
    verified boolean NOT NULL DEFAULT false,
    contact_sheet_key text, -- of the first page, below the job's output; written by the job
    contact_sheet_pages integer,
    contact_sheet_made_at timestamptz,
    UNIQUE (marathon_id, reference)
);

CREATE TABLE submissions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant_id bigint NOT NULL REFERENCES participants ON DELETE CASCADE,
    topic_id bigint REFERENCES topics ON DELETE SET NULL,
    key text NOT NULL, -- of the photo: a URL, or a path below the job's `photos`
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ON submissions (participant_id);
