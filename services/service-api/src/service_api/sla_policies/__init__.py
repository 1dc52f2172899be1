"""SLA policies: how soon tickets of some kind and priority are to be answered and resolved."""
