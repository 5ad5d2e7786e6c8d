/*
 * The shortest program there is: what a benchmark runs in the container.
 */
int main(void)
{
	return 0;
}
