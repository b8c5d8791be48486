
/* The way from core to core: yours copies nothing where both see the struct, and tells the other core. */
static unsigned char mailbox[@{mailbox}];

static void hand_over(const void *message, size_t bytes)
{
    memcpy(mailbox, message, bytes);
}

static void receive(void *message, size_t bytes)
{
    memcpy(message, mailbox, bytes);
}
