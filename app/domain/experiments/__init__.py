"""What experiments are asked and what they find: frozen records that are run, stored and shown. numpy only; no I/O."""
