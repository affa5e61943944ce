"""Programs that stand in for services of others: they speak the real protocol over HTTP."""
