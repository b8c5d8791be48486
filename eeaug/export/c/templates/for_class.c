    printf("%s", @{prefix}_classes[result.predicted]);
