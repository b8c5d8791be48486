/* Every stage by itself, on what the one before hands over. */
@{includes}
@{ticks}

@{given}
static union {
    double aligned;
    unsigned char bytes[@{arena}];
} arena;
static @{number} probabilities[@{outputs}];
static @{number} handover[@{handed}];

int main(void)
{
    begin();
@{calls}
    print();
    return 0;
}
