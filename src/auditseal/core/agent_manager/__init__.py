"""The existing Agent Manager's audit rows: their own hash rule, their order by links, what they do and do not prove."""
