/** Ports of loopback that nobody has; different ones, as all are held until the last is found. */
export function freePorts(count: number): number[] {
  const listen = () => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const listeners = Array.from({ length: count }, listen);
  for (const listener of listeners) listener.stop(true);
  return listeners.map(({ port }) => port);
}
