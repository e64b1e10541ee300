// sharp: photos reduced one after the other or all at once, then composited.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const [photos, sheets, out, how] = process.argv.slice(2);
const paths = readdirSync(photos).sort().map((name) => join(photos, name));

async function tile(path, at) {
  const { data, info } = await sharp(path)
    .rotate()
    .resize(751, 752, { fit: 'inside' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const [left, top] = [118 + (at % 6) * 798, 250 + Math.floor(at / 6) * 799];
  return { input: data, raw: { width, height, channels }, left, top };
}

async function make(number) {
  let tiles = [];
  if (how === 'at-once') {
    tiles = await Promise.all(paths.map(tile));
  } else {
    for (const [at, path] of paths.entries()) tiles.push(await tile(path, at));
  }
  await sharp({ create: { width: 4961, height: 3508, channels: 3, background: 'white' } })
    .composite(tiles)
    .withMetadata({ density: 300 })
    .jpeg({ quality: 90 })
    .toFile(join(out, `${number}.jpg`));
}

await make(0);
const [wall, cpu] = [performance.now(), process.cpuUsage()];
for (let number = 0; number < Number(sheets); number++) await make(number);
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ wall_seconds: (performance.now() - wall) / 1e3, cpu_seconds: (user + system) / 1e6 }));
