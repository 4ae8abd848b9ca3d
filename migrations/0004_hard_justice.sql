CREATE TABLE `buildpack_installations` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`ordinal` integer NOT NULL,
	`buildpack` text NOT NULL,
	`sealedSecrets` blob,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `buildpack_installations_appId_ordinal_unique` ON `buildpack_installations` (`appId`,`ordinal`);--> statement-breakpoint
CREATE TABLE `slug_uploads` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`processTypes` text NOT NULL,
	`checksum` text,
	`commit` text,
	`commitDescription` text,
	`buildpackDescription` text,
	`stack` text NOT NULL,
	`createdAt` integer NOT NULL,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
ALTER TABLE `builds` ADD `releaseId` text;--> statement-breakpoint
ALTER TABLE `builds` ADD `sourceUrl` text;--> statement-breakpoint
ALTER TABLE `builds` ADD `sourceDescription` text;--> statement-breakpoint
ALTER TABLE `builds` ADD `sourceChecksum` text;--> statement-breakpoint
ALTER TABLE `builds` ADD `buildpacks` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `builds` ADD `stack` text;--> statement-breakpoint
INSERT INTO `buildpack_installations` (`id`, `appId`, `ordinal`, `buildpack`) SELECT lower(hex(randomblob(16))), `id`, 0, 'heroku/' || `buildpack` FROM `apps` WHERE `buildpack` IS NOT NULL;--> statement-breakpoint
ALTER TABLE `apps` DROP COLUMN `buildpack`;