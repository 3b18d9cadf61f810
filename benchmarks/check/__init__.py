"""Did this version get slower or worse? Two records of one machine beside each other, and today's beside a kept one."""
