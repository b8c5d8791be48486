"""What every rendering of report.json says.

From first to last:

    facts         rows and sentences of the main figures
    alternatives  the operating points, and what other accuracy drops would buy
    parts         whether the parts of the data are of one kind
    counted       what counted instructions say
    cautions      what a user must know before believing them
    target        exits for a target class
    rho           trade-off points of a single exit
    quantised     the int8 cascade beside the float one
    details       what went in and how the design was found
    remote        what stages on servers mean
    battery       how long a battery lasts
    streams       what decides streams, and what that comes to
    reproduce     how to get the same bundle again
    next_steps    commands that make sense now
    no_exit       why nothing leaves early
    compare       several designs side by side
"""
