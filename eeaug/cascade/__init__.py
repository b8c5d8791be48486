"""What a chain of classifiers says, costs and proves; arrays only.

A line of code here may touch arrays: no model, no file, no framework.

    measures         how sure a distribution over classes is
    output           what a classifier's output means: kinds, confidence measures
    outcomes         what every exit says of every sample
    waiting          samples that wait until there are enough of them to go on together
    blank_rule       when a model's own outputs say that a sample holds nothing
    passage          these sent through thresholds: where a sample leaves, what it costs, what is right
    encoding         tensors in fewer bits on their way over a link
    predictions      what a cascade has decided of samples, where, how surely
    tables           exact and independent scores of all thresholds
    combining        a later decision that hears the earlier classifiers
    temperature      one number per head that makes it as sure as it is right
    betting          confidence bounds on a drop, with any number of samples
    paired_test      an exact test of a drop, from how many samples are worse and better
    estimate         a drop and its standard error
    learn_then_test  a budget kept with a stated probability
    class_drop       what every class loses: the bound of the worst, and which lose more than chance explains
    path             the thresholds along which a design is opened, from strict to loose
    label_order      which samples need a label before a budget is proven on them
    shift            leave rates and confidences that new data is compared with
    alarm            the same on a microcontroller, sample by sample: false alarms at most 1 %, for ever
    between_parts    whether the parts of one data set are of one kind
"""
