// The program.
#include "commands/commands.h"

int main(int argc, char** argv) { return expunge::run_command(expunge::commands(), {argv + (argc > 0), argv + argc}); }
