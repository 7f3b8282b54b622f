-- The version of its run at which the order was given that holds the amount: the end of a run gives back nothing that its retry holds.

ALTER TABLE worker.holds ADD COLUMN version integer NOT NULL DEFAULT 0;
