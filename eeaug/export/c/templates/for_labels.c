    for (int k = 0; k < @{PREFIX}_CLASSES; ++k) {
        if (result.predicted >> k & 1u) {
            printf("%s ", @{prefix}_classes[k]);
        }
    }
